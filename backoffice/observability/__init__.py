"""What the process, its statements and its pool are doing."""
