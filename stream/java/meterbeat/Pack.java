package meterbeat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;

/** A growing array of packed heartbeats, 32 bytes each; the layout is PACKED of stream/fold.py. */
final class Pack {
  static final int HEARTBEAT_BYTES = 32;

  private static final int BYTES_MIN = 64 * HEARTBEAT_BYTES;
  private static final int BYTES_MAX = 8_192 * HEARTBEAT_BYTES;

  private ByteBuffer buffer = allocate(BYTES_MIN);

  boolean isFull() {
    return buffer.position() == BYTES_MAX;
  }

  void add(Heartbeat heartbeat) {
    if (!buffer.hasRemaining()) {
      buffer = allocate(2 * buffer.capacity()).put(buffer.flip());
    }
    buffer.putLong(heartbeat.tag).putLong(heartbeat.sentAt).putLong(heartbeat.register);
    buffer.putInt(heartbeat.userId).putInt(heartbeat.rate);
  }

  byte[] take() {
    byte[] taken = Arrays.copyOf(buffer.array(), buffer.position());
    buffer.clear();
    return taken;
  }

  private static ByteBuffer allocate(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }
}
