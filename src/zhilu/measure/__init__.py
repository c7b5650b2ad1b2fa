"""Figures that more than one capability needs: ``words`` answers compared by their words · ``paired`` two ways on the same questions."""
