"""What the app, the endpoints and the command line call: names in, answers out."""
