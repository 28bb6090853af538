"""A machine that tries to break the program: kills, full disks, hostile files and calls."""
