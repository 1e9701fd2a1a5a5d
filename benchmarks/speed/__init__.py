"""What a run costs beside the tools a user would pick instead: ``make bench``."""
