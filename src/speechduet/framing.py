"""How a spectrogram's frames cover a waveform, in numbers of samples."""


def covering_length(samples: int, n_fft: int, hop: int) -> int:
    """The length to which samples are continued, so that each lies under full overlap."""
    # The first frame that is missing must start after the last sample.
    reach = max(0, n_fft // 2 - hop)
    return -(-(samples + reach) // hop) * hop
