package meterbeat;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * Turns one Kafka message into a heartbeat, or into the reason why it is none.
 *
 * <p>It never throws: a message that is malformed must not stop the job. The layout and the reasons are
 * those of infra/contracts/heartbeat.py; a contract test feeds both the same messages.
 */
public final class Decoder {
  private static final VarHandle INT =
      MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
  private static final int VALUE_BYTES = 32;
  private static final int VERSION = 1;
  private static final int USER_ID_DIGITS = 8;
  private static final long REGISTER_MAX = (1L << 48) - 1;
  private static final long AHEAD_MS_MAX = 120_000;
  /** The topics, by the code of their utility; the archive's folders are named alike. */
  static final String[] TOPICS = {"electricity", "gas", "water"};

  private Decoder() {}

  /** Decodes a message; {@code timestamp} is when the broker appended it. */
  public static Heartbeat decode(String topic, byte[] key, byte[] value, long timestamp) {
    Heartbeat heartbeat = new Heartbeat();
    heartbeat.reason = fill(heartbeat, topic, key, value, timestamp);
    return heartbeat;
  }

  private static String fill(Heartbeat heartbeat, String topic, byte[] key, byte[] value, long timestamp) {
    int keyUser = userOf(key);
    if (keyUser < 0) {
      return "key is not a user id of 8 digits";
    }
    if (value == null) {
      return "value is null";
    }
    if (value.length != VALUE_BYTES) {
      return "value has " + value.length + " bytes, not " + VALUE_BYTES;
    }
    int version = Byte.toUnsignedInt(value[0]);
    if (version != VERSION) {
      return "version is " + version + ", not " + VERSION;
    }
    heartbeat.utility = Byte.toUnsignedInt(value[1]);
    if (heartbeat.utility >= TOPICS.length || !TOPICS[heartbeat.utility].equals(topic)) {
      return "utility is " + heartbeat.utility + " on topic " + topic;
    }
    if (!isRegion(value)) {
      return "region is not an ISO 3166-2 code";
    }
    heartbeat.userId = (int) INT.get(value, 8);
    heartbeat.rate = (int) INT.get(value, 12);
    heartbeat.sentAt = (long) LONG.get(value, 16);
    heartbeat.register = (long) LONG.get(value, 24);
    heartbeat.tag = regionNumber(value) << 2 | heartbeat.utility;
    if (heartbeat.userId != keyUser) {
      return "user_id differs from the key";
    }
    if (heartbeat.sentAt < 0) {
      return "sent_at is before 1970";
    }
    if (heartbeat.sentAt > timestamp + AHEAD_MS_MAX) {
      return "sent_at is more than " + AHEAD_MS_MAX / 1000 + " s ahead of the broker's clock";
    }
    if (heartbeat.register < 0 || heartbeat.register > REGISTER_MAX) {
      return "register is out of range";
    }
    return heartbeat.rate < 0 ? "rate is out of range" : null;
  }

  /** Returns the user id of a key, or -1 if the key is not eight digits without a leading zero. */
  private static int userOf(byte[] key) {
    if (key == null || key.length != USER_ID_DIGITS || key[0] == '0') {
      return -1;
    }
    int user = 0;
    for (byte digit : key) {
      if (digit < '0' || digit > '9') {
        return -1;
      }
      user = user * 10 + digit - '0';
    }
    return user;
  }

  /** Returns whether bytes 2 to 7 are like US-CA or GB-ENG, padded with zeros. */
  private static boolean isRegion(byte[] value) {
    int end = 8;
    while (end > 2 && value[end - 1] == 0) {
      end--;
    }
    boolean wellFormed = end >= 6 && isLetter(value[2]) && isLetter(value[3]) && value[4] == '-';
    for (int i = 5; wellFormed && i < end; i++) {
      wellFormed = isLetter(value[i]) || (value[i] >= '0' && value[i] <= '9');
    }
    return wellFormed;
  }

  private static boolean isLetter(byte character) {
    return character >= 'A' && character <= 'Z';
  }

  /** Returns bytes 2 to 7 as a big-endian number, so that the bytes read back in order. */
  private static long regionNumber(byte[] value) {
    return Long.reverseBytes((long) LONG.get(value, 0)) & 0xFFFF_FFFF_FFFFL;
  }
}
