"""Where the faces are, how they are aligned, and who is who from frame to frame."""
