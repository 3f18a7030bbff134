"""Training of any system: settings, losses, the Lightning module and what happens around it.

``settings`` and ``recipe_file`` say what is trained; ``loading`` brings the examples, ``random``
their times and noise; ``losses``, ``balance`` and ``module`` make a step; ``averages``,
``validation``, ``keeping`` and ``reports`` act after it; ``run`` puts all together.
"""
