"""The encodings of image messages, each as the numbers that it stores."""
