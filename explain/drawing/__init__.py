"""Evidence maps and boxes as pictures. NumPy and OpenCV only."""
