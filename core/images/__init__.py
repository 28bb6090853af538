"""From bytes, files and zips to safe images; files written whole or not at all."""
