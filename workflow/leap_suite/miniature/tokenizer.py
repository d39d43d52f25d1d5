"""Word-level tokenizer shared by all miniatures.

The vocabulary is closed: every word and punctuation mark is one token, and no token is unknown.
White space only separates, so a context and its continuation are tokenised alike alone and
together. Encoding with special tokens prepends `<bos>`; models without BOS encode without them.
"""

import re
from pathlib import Path

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from leap_suite.miniature.text import LETTERS, training_documents
from leap_suite.miniature.world import World

PAD, BOS, EOS, UNK = "<pad>", "<bos>", "<eos>", "<unk>"
SPECIAL_TOKENS = (PAD, BOS, EOS, UNK)
CHECKPOINTS = Path(__file__).parent / "checkpoints"
TRACKED_TOKENIZER = CHECKPOINTS / "tokenizer"

# Enough documents for every sentence form; the world's own words are added separately.
_SAMPLED_DOCUMENTS = 4000
_TOKEN = re.compile(r"\w+|[^\w\s]+")


def build_tokenizer(world: World) -> PreTrainedTokenizerFast:
    """Tokenizer of `world`: special tokens, then all words in alphabetical order."""
    words = sorted(_words(world))
    vocabulary = {token: index for index, token in enumerate((*SPECIAL_TOKENS, *words))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        clean_up_tokenization_spaces=False,
    )


def _words(world: World) -> set[str]:
    texts = list(training_documents(world, _SAMPLED_DOCUMENTS, seed=0))
    texts += [entity.name for entity in world.entities]
    for group in world.groups:
        texts.extend((group.name, *group.purposes))
        for relation in group.domain.relations:
            texts.extend((relation.noun, *relation.values))
    return {*LETTERS, *(word for text in texts for word in _TOKEN.findall(text))}
