"""The policy that keeps both loops company: a SmolVLA of LeRobot's own class with 1.3 M random parameters, guided by
its RTC.

`TinySmolVLA.chunk` does for our worker what LeRobot's engine does around an inference: frame to tensors, preprocessor,
policy with the rest of the last chunk as guidance, postprocessor.
"""

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lerobot.policies.smolvla.smolvlm_with_expert as smolvlm
import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.policies.rtc.configuration_rtc import RTCConfig
from lerobot.policies.smolvla.configuration_smolvla import SmolVLAConfig
from lerobot.policies.smolvla.modeling_smolvla import SmolVLAPolicy
from lerobot.policies.smolvla.processor_smolvla import make_smolvla_pre_post_processors
from lerobot.policies.utils import prepare_observation_for_inference
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, SmolVLMConfig

from benchmarks.peers.wire import CAMERAS, JOINTS

CHUNK = 50
TASK = "hit the red mole"
SPECIAL = ("<fake_token_around_image>", "<global-img>", "<image>", "<end_of_utterance>")
WORDS = ("<pad>", "<unk>", *SPECIAL, "hit", "the", "red", "mole", "\n")


def _language_model(folder: Path) -> None:
    """Configuration and tokenizer of a small vision-language model, as LeRobot loads one."""
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", unk_token="<unk>", additional_special_tokens=list(SPECIAL)
    ).save_pretrained(folder)
    text = {"model_type": "llama", "hidden_size": 128, "head_dim": 32, "intermediate_size": 256}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 4, "attention_bias": False}
    vision = {"hidden_size": 96, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    SmolVLMConfig(
        text_config={**text, **heads, "vocab_size": len(WORDS) + 10},
        vision_config={**vision, "image_size": 96, "patch_size": 8},
        scale_factor=2,
        image_token_id=WORDS.index("<image>"),
    ).save_pretrained(folder)


class _Processor:
    """In place of the processor that LeRobot would load: only two token ids are asked of it."""

    tokenizer = SimpleNamespace(
        fake_image_token_id=WORDS.index("<fake_token_around_image>"), global_image_token_id=WORDS.index("<global-img>")
    )

    @classmethod
    def from_pretrained(cls, *_: Any, **__: Any) -> "_Processor":
        return cls()


class TinySmolVLA:
    """The policy with its processors, and what each inference took, in s."""

    def __init__(self, torch_threads: int) -> None:
        torch.set_num_threads(torch_threads)
        torch.manual_seed(0)
        folder = Path(tempfile.mkdtemp())
        _language_model(folder)
        smolvlm.AutoProcessor = _Processor
        image = PolicyFeature(FeatureType.VISUAL, (3, 480, 640))
        config = SmolVLAConfig(
            vlm_model_name=str(folder),
            load_vlm_weights=False,
            num_vlm_layers=4,
            chunk_size=CHUNK,
            n_action_steps=CHUNK,
            resize_imgs_with_padding=(96, 96),
            expert_width_multiplier=0.75,
            self_attn_every_n_layers=2,
            input_features={
                "observation.state": PolicyFeature(FeatureType.STATE, (JOINTS,)),
                **{f"observation.images.{name}": image for name in CAMERAS},
            },
            output_features={"action": PolicyFeature(FeatureType.ACTION, (JOINTS,))},
            device="cpu",
        )
        self.policy = SmolVLAPolicy(config).eval()
        self.rtc = RTCConfig(enabled=True)
        self.policy.config.rtc_config = self.rtc
        self.policy.init_rtc_processor()
        self.before, self.after = make_smolvla_pre_post_processors(self.policy.config, None)
        self.took_s: list[float] = []
        self._inner = self.policy.predict_action_chunk
        self.policy.predict_action_chunk = self._timed
        self._previous: Any = None

    def _timed(self, *args: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return self._inner(*args, **options)
        finally:
            self.took_s.append(time.perf_counter() - began)

    def chunk(self, state: Any, images: Any, delay: int) -> Any:
        """(CHUNK, JOINTS), actions for what is seen."""
        frame = {"observation.state": np.asarray(state, np.float32)}
        frame |= {f"observation.images.{name}": np.array(image) for name, image in images.items()}
        batch = prepare_observation_for_inference(frame, torch.device("cpu"), TASK, "wire")
        batch["task"] = [TASK]
        actions = self.policy.predict_action_chunk(
            self.before(batch), inference_delay=delay, prev_chunk_left_over=self._previous
        )
        self._previous = actions.squeeze(0)[-self.rtc.execution_horizon :].clone()
        return self.after(actions).squeeze(0).numpy()


def describe(took_s: list[float], seconds: float) -> dict[str, float]:
    """How busy the policy was."""
    took = np.array(took_s)
    return {
        "inferences": len(took),
        "infer_ms_p50": 1e3 * float(np.median(took)),
        "infer_share": float(took.sum() / seconds),
    }
