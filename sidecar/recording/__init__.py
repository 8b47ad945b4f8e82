"""What was seen and decided, kept without pictures: files, memory, and what-if."""
