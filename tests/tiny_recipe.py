"""The beginning of a recipe whose run takes a second: a very small joint system on the samples."""

SYSTEM_AND_DATA = """
name: tiny
system: {layout: {generative: true, predictive: shared, parametrisation: clean}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1, bins: 64}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 126, hop: 64}
modes:
  fast: {steps: 0}
  balanced: {steps: 2, predictor: ancestral, corrector_steps: 0, beta: 0.5}
data: {pairs: ROOT/samples}
mixing: {excerpt_s: 0.3}
losses: {weighting: clean}
"""
"""With ROOT in place of the repository; what follows is how it is trained."""
