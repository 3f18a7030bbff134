"""From waveform to waveform: any length, rate and number of channels."""
