"""SQLite databases that merge row by row and cell by cell.

Runs in a process of its own (``process``), since POSIX locks vanish when any descriptor of a file
closes in the process that holds them: nobody else in meerkat opens a live database.
"""
