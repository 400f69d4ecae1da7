"""Stand-ins for the outside world, built from recordings and cited facts: a node, a filing service, a log in memory. Never used in production."""
