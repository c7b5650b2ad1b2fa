"""The workbench: one application composed of every folder's routes, behind one guard."""
