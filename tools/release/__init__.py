"""What a release is made of, how it is made again byte for byte, and how it is checked without a network."""
