"""What every request passes, outermost first."""
