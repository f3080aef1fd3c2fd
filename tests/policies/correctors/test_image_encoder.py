"""The image encoder of a corrector: the input of its network, and that it is the same once it is read back."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.correctors.image_encoder import (
    SIDE,
    TrainedImageEncoder,
    arrays_of,
    make_net,
    read_image_encoder,
    shrunk,
)
from rollahead.runtime.control.corrector import Head, HeadCard
from rollahead.runtime.types.messages import Images

CAMERAS = ("top", "wrist")
CARD = HeadCard(("x",), ("x",), (), 8, cameras=CAMERAS, latent=3, image_age=4)


def images(seed: int = 0) -> Images:
    """Of two sizes, read-only, as they come out of shared memory."""
    rng = np.random.default_rng(seed)
    made = {"wrist": rng.integers(0, 256, (48, 80, 3), np.uint8), "top": rng.integers(0, 256, (96, 128, 3), np.uint8)}
    for image in made.values():
        image.flags.writeable = False
    return made


def net(latent: int = 3) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_net(len(CAMERAS), latent)


def saved(folder: Path, card: HeadCard = CARD, latent: int = 3) -> Path:
    n = 5 + (card.latent + 1 if card.latent else 0)
    head = Head(card, [(np.zeros((n, 1)), np.zeros(1))], np.zeros(n), np.ones(n), np.ones(1))
    head.save(folder / "head.npz", arrays_of(net(latent)))
    return folder / "head.npz"


def test_it_makes_as_many_numbers_as_the_corrector_takes() -> None:
    values = TrainedImageEncoder(net(), CAMERAS)(images())
    assert (values.shape, values.dtype) == ((3,), np.float64)
    assert values.tolist() != TrainedImageEncoder(net(), CAMERAS)(images(1)).tolist()


def test_cameras_are_told_apart_by_name_and_not_by_the_order_they_come_in() -> None:
    image_encoder, seen = TrainedImageEncoder(net(), CAMERAS), images()
    assert image_encoder(seen).tolist() == image_encoder(dict(reversed(seen.items()))).tolist()
    assert image_encoder(seen).tolist() != TrainedImageEncoder(net(), CAMERAS[::-1])(seen).tolist()


def test_each_pixel_is_the_mean_of_its_area_and_colours_stay_apart() -> None:
    picture = torch.zeros(1, 3, 2 * SIDE, 4 * SIDE)
    picture[0, 1, :, ::4] = 1.0  # green, in one column of four
    (red, green, blue) = shrunk([picture])[0]
    assert not red.any()
    assert not blue.any()
    assert (green == round(255 / 4)).all()


def test_one_that_was_saved_with_its_corrector_is_the_same_to_the_bit(tmp_path: Path) -> None:
    assert (
        read_image_encoder(saved(tmp_path))(images()).tolist() == TrainedImageEncoder(net(), CAMERAS)(images()).tolist()
    )


def test_it_makes_of_a_robots_image_what_it_made_of_it_in_training() -> None:
    seen = images()
    pictures = [torch.from_numpy(seen[name].copy()).permute(2, 0, 1)[None].float() / 255 for name in CAMERAS]
    with torch.no_grad():
        trained_on = net()(shrunk(pictures).float() / 255)[0]
    assert TrainedImageEncoder(net(), CAMERAS)(seen).tolist() == trained_on.tolist()


@pytest.mark.parametrize("how", ["blind", "without", "of another size", "gone"])
def test_a_file_without_its_image_encoder_is_refused_by_its_path_with_what_to_do(how: str, tmp_path: Path) -> None:
    path = saved(tmp_path, latent=5 if how == "of another size" else 3)
    head = Head(
        HeadCard(("x",), ("x",), (), 8) if how == "blind" else CARD, [(np.zeros((8, 1)),) * 2], *[np.ones(8)] * 3
    )
    if how in ("blind", "without"):
        head.save(path)
    elif how == "gone":
        path.unlink()
    with pytest.raises(ConfigError, match=r"rollahead train-corrector") as caught:
        read_image_encoder(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
