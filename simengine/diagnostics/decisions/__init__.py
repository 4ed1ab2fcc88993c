"""Measures of logged decisions: how sure agents are, what they heed, how alike they are, how true their words.

Decisions are rows, one for each that an agent made: ``step``, ``agent``, the ``action`` it took, and, where it was
asked for one, the ``probability`` of each option, shape (row, option). All functions take columns as arrays, as
DataArrays whose first dim are the rows, or as the names of variables of ``data=``, a Dataset or the path of a file.
"""
