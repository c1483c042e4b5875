"""The promises that a backend keeps, as test suites to subclass."""
