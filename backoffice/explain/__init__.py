"""Why is it slow? Plans of statements, read and put into words and advice."""
