"""A stand-in for Feetech's SDK (`scservo_sdk`), with simulated servos behind its ports.

It has what LeRobot's `FeetechMotorsBus` calls, for servos of the STS series. Which ports there are, and which servos
at each, is in the JSON file that `FEETECH_ARMS` names (`tests/feetech.py` writes it):

    {"/dev/ttyACM0": {"1": {"homing_offset": 12, "range_min": 900, "range_max": 3200}, ...}}

A servo follows its goal, within its position limits, as a first-order lag with a greatest speed, by the clock, and only
with its torque on. What is in its EEPROM is written only while it is not locked.
"""

import json
import math
import os
import time
from collections.abc import Sequence
from typing import Any

from serial import SerialException

COMM_SUCCESS, COMM_TX_FAIL, COMM_RX_TIMEOUT, COMM_NOT_AVAILABLE = 0, -2, -6, -9
BROADCAST_ID, MAX_ID = 0xFE, 0xFC
INST_PING = 1
PKT_ID, PKT_LENGTH, PKT_INSTRUCTION, PKT_ERROR = 2, 3, 4, 4

MODEL, STS3215 = 3, 777  # address, and what is there
MIN_LIMIT, MAX_LIMIT, HOMING_OFFSET = 9, 11, 31
TORQUE, GOAL, LOCK, PRESENT = 40, 42, 55, 56
SRAM = 40  # addresses from here on are no EEPROM
SIGN = 11  # bit of the sign of a homing offset
TAU_S = 0.08
FASTEST = 3000.0  # counts per second


class Servo:
    """One servo. eeprom: its calibration."""

    def __init__(self, eeprom: dict[str, int]) -> None:
        self._memory = bytearray(256)
        offset = eeprom["homing_offset"]
        self._put(MODEL, STS3215)
        self._put(MIN_LIMIT, eeprom["range_min"])
        self._put(MAX_LIMIT, eeprom["range_max"])
        self._put(HOMING_OFFSET, abs(offset) | (offset < 0) << SIGN)
        self._at = (eeprom["range_min"] + eeprom["range_max"]) / 2
        self._put(GOAL, round(self._at))
        self._seen_s = time.monotonic()

    def read(self, address: int, length: int) -> int:
        """The number at `address`."""
        self._move()
        return int.from_bytes(self._memory[address : address + length], "little")

    def write(self, address: int, data: Sequence[int]) -> None:
        """Puts `data` at `address`."""
        self._move()
        if address >= SRAM or not self._memory[LOCK]:
            self._memory[address : address + len(data)] = bytes(data)

    def _put(self, address: int, value: int) -> None:
        self._memory[address : address + 2] = value.to_bytes(2, "little")

    def _word(self, address: int) -> int:
        return int.from_bytes(self._memory[address : address + 2], "little")

    def _move(self) -> None:
        """To where it is by now."""
        now_s = time.monotonic()
        passed_s, self._seen_s = now_s - self._seen_s, now_s
        if self._memory[TORQUE]:
            goal = min(max(self._word(GOAL), self._word(MIN_LIMIT)), self._word(MAX_LIMIT))
            step = (goal - self._at) * (1 - math.exp(-passed_s / TAU_S))
            self._at += math.copysign(min(abs(step), FASTEST * passed_s), step)
        self._put(PRESENT, round(self._at))


def _arms() -> dict[str, dict[int, Servo]]:
    with open(os.environ["FEETECH_ARMS"]) as file:
        found = json.load(file)
    return {port: {int(i): Servo(eeprom) for i, eeprom in servos.items()} for port, servos in found.items()}


ARMS = _arms()


class PortHandler:
    """A port."""

    def __init__(self, port_name: str) -> None:
        self.port_name = port_name
        self.is_open = self.is_using = False
        self._baudrate = 1_000_000

    @property
    def servos(self) -> dict[int, Servo]:
        """Those that answer."""
        return ARMS[self.port_name] if self.is_open else {}

    def openPort(self) -> bool:
        if self.port_name not in ARMS:
            raise SerialException(
                2, f"could not open port {self.port_name}: [Errno 2] No such file or directory: {self.port_name!r}"
            )
        self.is_open = True
        return True

    def closePort(self) -> None:
        self.is_open = False

    def clearPort(self) -> None:
        pass

    def getBaudRate(self) -> int:
        return self._baudrate

    def setBaudRate(self, baudrate: int) -> bool:
        self._baudrate = baudrate
        return True

    def setPacketTimeoutMillis(self, milliseconds: float) -> None:
        pass


class PacketHandler:
    """The protocol, spoken at once."""

    def __init__(self, protocol: int) -> None:
        pass

    def ping(self, port: PortHandler, scs_id: int) -> tuple[int, int, int]:
        return self._read(port, scs_id, MODEL, 2)

    def read1ByteTxRx(self, port: PortHandler, scs_id: int, address: int) -> tuple[int, int, int]:
        return self._read(port, scs_id, address, 1)

    def read2ByteTxRx(self, port: PortHandler, scs_id: int, address: int) -> tuple[int, int, int]:
        return self._read(port, scs_id, address, 2)

    def writeTxRx(
        self, port: PortHandler, scs_id: int, address: int, length: int, data: Sequence[int]
    ) -> tuple[int, int]:
        if scs_id not in port.servos:
            return COMM_RX_TIMEOUT, 0
        port.servos[scs_id].write(address, data[:length])
        return COMM_SUCCESS, 0

    def getTxRxResult(self, result: int) -> str:
        return "[TxRxResult] There is no status packet!" if result else "[TxRxResult] Communication success!"

    def getRxPacketError(self, error: int) -> str:
        return ""

    def _read(self, port: PortHandler, scs_id: int, address: int, length: int) -> tuple[int, int, int]:
        if scs_id not in port.servos:
            return 0, COMM_RX_TIMEOUT, 0
        return port.servos[scs_id].read(address, length), COMM_SUCCESS, 0


class _Group:
    def __init__(self, port: PortHandler, handler: PacketHandler, start_address: int, data_length: int) -> None:
        self.port, self.start_address, self.data_length = port, start_address, data_length
        self._data: dict[int, Any] = {}

    def clearParam(self) -> None:
        self._data.clear()

    def addParam(self, scs_id: int, data: Sequence[int] = ()) -> bool:
        self._data[scs_id] = list(data)
        return True


class GroupSyncRead(_Group):
    """One register of several servos."""

    def txRxPacket(self) -> int:
        if not all(scs_id in self.port.servos for scs_id in self._data):
            return COMM_RX_TIMEOUT
        for scs_id in self._data:
            self._data[scs_id] = self.port.servos[scs_id].read(self.start_address, self.data_length)
        return COMM_SUCCESS

    def getData(self, scs_id: int, address: int, length: int) -> int:
        return int(self._data[scs_id])


class GroupSyncWrite(_Group):
    """One register of several servos."""

    def txPacket(self) -> int:
        if not self.port.is_open:
            return COMM_TX_FAIL
        for scs_id, data in self._data.items():
            self.port.servos[scs_id].write(self.start_address, data)
        return COMM_SUCCESS


def SCS_LOBYTE(word: int) -> int:
    return word & 0xFF


def SCS_HIBYTE(word: int) -> int:
    return word >> 8 & 0xFF


def SCS_LOWORD(long: int) -> int:
    return long & 0xFFFF


def SCS_HIWORD(long: int) -> int:
    return long >> 16 & 0xFFFF
