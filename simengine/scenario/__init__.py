"""What an author writes: parameters, populations, phases, observables, stop conditions and the scenario class."""
