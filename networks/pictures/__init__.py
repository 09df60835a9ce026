"""Pictures as every entrance of ours reads them."""
