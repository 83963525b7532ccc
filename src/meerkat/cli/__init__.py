"""The command line: one file per command, each a thin skin over node and control.

``main`` has the list of commands and turns errors into exit codes; ``serving`` runs a node and
``views`` shows what happens, for the commands that stay: share, join and up.
"""
