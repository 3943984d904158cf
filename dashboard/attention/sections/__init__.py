"""The sections of the Attention tab."""
