"""Tools others can test against: a simulator of pools, fakes with state, acceptance suites."""
