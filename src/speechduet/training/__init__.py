"""Training of any system: settings, losses, the Lightning module and what happens around it.

``settings`` and ``recipe_file`` hold what is trained; ``loading`` gives the examples, ``draws``
their times and noise; ``losses``, ``balance`` and ``module`` make a step; ``averages``,
``validation``, ``checkpoints`` and ``progress`` act after it; ``run`` puts all together.
"""
