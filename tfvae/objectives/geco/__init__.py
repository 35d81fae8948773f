"""GECO: constraints, the controllers that move their multipliers, conditioning on kappa, the status of a run.

It may import models and what is below it, objectives.base.
"""
