"""What serves the export."""
