"""Tools others can test against: a simulator of whole pools, fakes with state, acceptance suites."""
