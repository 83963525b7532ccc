"""The same node for another process: JSON lines over a local socket only its owner can open.

``schema`` says what can be asked and answered; ``server`` sits in the folder's process, ``client``
in everyone else's.
"""
