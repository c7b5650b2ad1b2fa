"""The workbench: one application, composed of the routes of all folders, behind one guard."""
