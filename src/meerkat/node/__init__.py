"""The hands: one function, ``Node.step``, and everything that brings events to it.

Reading order: ``node``, ``inbox`` and ``timers`` (what waits), ``hands`` (who carries out which
effect), then each hand: ``links``, ``dialing``, ``serving``, ``folder_hand`` and
``folder_bridge``, ``reception``, ``bulletin``. How a node comes to be: ``home``, ``share``,
``join``, ``rebuild``.
"""
