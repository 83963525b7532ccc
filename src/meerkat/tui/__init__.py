"""The terminal editor: `meerkat edit`.

``app`` puts it together. From the bottom up: ``lines`` and ``document`` hold the text, ``editing``
changes it, ``cells`` and ``viewport`` say where it stands on the screen, ``view`` draws it;
``session`` and ``connection`` keep it in step with the folder's process.
"""
