"""What arrives, and what it must be: contracts as data, cards beside files, and reading a scan by both."""

from smalti.contracts.archive import Limits as Limits
from smalti.contracts.card import Card as Card
from smalti.contracts.card import card_path as card_path
from smalti.contracts.card import read_card as read_card
from smalti.contracts.contract import Contract as Contract
from smalti.contracts.conversion import Outcome as Outcome
from smalti.contracts.reading import conform as conform
from smalti.contracts.reading import examine as examine
from smalti.contracts.reading import read_arrays as read_arrays
from smalti.contracts.reading import read_scan as read_scan
from smalti.contracts.scan import SCAN as SCAN
from smalti.contracts.violation import Violation as Violation
