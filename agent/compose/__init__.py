"""The composition root: the only package that names concrete classes.

Each command gets the part that it needs from the module that makes it, so that ``status`` does not load a chain
library: ``looking`` (the journal beside a running agent), ``parts`` (meters, nodes, broker, key) and ``daemon``
(everything together).
"""
