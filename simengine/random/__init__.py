"""Named, keyed, counter-based random numbers: a draw is a function of its name, its step and its agent.

``philox`` holds the generator and the keys, ``elementary`` the logarithm, sine and cosine that keep normals
the same on every machine, ``sampling`` the formula of each kind of draw, ``draws`` the same formulas compiled
for a step, and ``streams`` the objects that an author calls in plain Python. There is no state anywhere.
"""
