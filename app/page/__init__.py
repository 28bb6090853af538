"""What the tabs share: the page, its components, files and events, work, look and place."""
