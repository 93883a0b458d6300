"""A claims file that tests read as it stands or with a word changed."""

CLAIMS = """\
question: What do residual connections buy?
factor: connection
control: plain
treatment: identity
tuned: false
claims:
  - name: depth
    text: Plain networks get worse with depth.
    source: He et al. 2015
    metric: skill_train
    contrast: interaction
    over: depth
    cells: {long_skip: [none, concat]}
    direction: higher
    smallest_effect: 0.02
"""
