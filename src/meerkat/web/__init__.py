"""The folder in a browser: one server inside the folder's process, for this machine alone.

Reading order: ``host`` (on, off, and on again), ``kept``, ``origins`` (what it remembers);
``server`` (who is let to what), ``gate`` (who comes in), ``site`` (the page); ``answers``,
``disk``, ``raw``, ``changes`` (files); ``sockets``, ``talk`` (the control protocol), ``yjs`` (live
texts).
"""
