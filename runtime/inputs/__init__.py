"""What a user names: samples, networks, streams of frames."""
