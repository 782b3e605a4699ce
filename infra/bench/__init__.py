"""What the platform can do on this machine, measured whole: each bench runs on a platform of its own."""
