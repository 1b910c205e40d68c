"""What is promised of disks that fail, bits that flip and processes that are killed."""
