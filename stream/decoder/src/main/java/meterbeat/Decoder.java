package meterbeat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.apache.flink.table.annotation.DataTypeHint;
import org.apache.flink.table.annotation.FunctionHint;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.table.data.TimestampData;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * Turns one Kafka message into the columns of a heartbeat, or into the reason why it is none.
 *
 * <p>It never throws: a message that is malformed must not stop the job. The layout and the reasons are
 * those of infra/contracts/heartbeat.py; a contract test feeds both the same messages. It runs in the JVM
 * so that heartbeats that are late or malformed are typed, counted and kept without a trip to Python.
 *
 * <p>{@code tag} is the region's six bytes, read as a number, times four plus the utility's code: one
 * number where the fold would otherwise handle a string for each heartbeat.
 */
@FunctionHint(
    output =
        @DataTypeHint(
            value =
                "ROW<user_id BIGINT, sent_at BIGINT, register BIGINT, rate INT, region STRING,"
                    + " tag BIGINT, reason STRING>",
            bridgedTo = RowData.class))
public class Decoder extends ScalarFunction {
  private static final int VALUE_BYTES = 32;
  private static final int VERSION = 1;
  private static final int USER_ID_DIGITS = 8;
  private static final long REGISTER_MAX = (1L << 48) - 1;
  private static final StringData[] TOPICS = {
    StringData.fromString("electricity"), StringData.fromString("gas"), StringData.fromString("water")
  };

  public RowData eval(
      byte[] key,
      byte[] value,
      @DataTypeHint(value = "STRING", bridgedTo = StringData.class) StringData topic,
      @DataTypeHint(value = "TIMESTAMP_LTZ(3)", bridgedTo = TimestampData.class) TimestampData timestamp) {
    long keyUser = userOf(key);
    if (keyUser < 0) {
      return reject("key is not a user id of 8 digits");
    }
    if (value == null) {
      return reject("value is null");
    }
    if (value.length != VALUE_BYTES) {
      return reject("value has " + value.length + " bytes, not " + VALUE_BYTES);
    }
    return decode(keyUser, ByteBuffer.wrap(value).order(ByteOrder.LITTLE_ENDIAN), topic, timestamp.getMillisecond());
  }

  private static RowData decode(long keyUser, ByteBuffer value, StringData topic, long timestamp) {
    int version = Byte.toUnsignedInt(value.get(0));
    int utility = Byte.toUnsignedInt(value.get(1));
    int regionLength = regionLength(value.array());
    long userId = Integer.toUnsignedLong(value.getInt(8));
    int rate = value.getInt(12);
    long sentAt = value.getLong(16);
    long register = value.getLong(24);
    if (version != VERSION) {
      return reject("version is " + version + ", not " + VERSION);
    }
    if (utility >= TOPICS.length || !TOPICS[utility].equals(topic)) {
      return reject("utility is " + utility + " on topic " + topic);
    }
    if (regionLength < 0) {
      return reject("region is not an ISO 3166-2 code");
    }
    if (userId != keyUser) {
      return reject("user_id differs from the key");
    }
    if (sentAt != timestamp) {
      return reject("sent_at differs from the record's timestamp");
    }
    if (register < 0 || register > REGISTER_MAX) {
      return reject("register is out of range");
    }
    if (rate < 0) {
      return reject("rate is out of range");
    }
    StringData region = StringData.fromBytes(value.array(), 2, regionLength);
    long tag = regionNumber(value.array()) << 2 | utility;
    return GenericRowData.of(userId, sentAt, register, rate, region, tag, null);
  }

  private static RowData reject(String reason) {
    return GenericRowData.of(null, null, null, null, null, null, StringData.fromString(reason));
  }

  /**
   * Returns false, which is untrue of the result but keeps the planner from copying the call into every
   * column that is read from it: a branch of the job decodes a message once, not seven times.
   */
  @Override
  public boolean isDeterministic() {
    return false;
  }

  /** Returns the user id of a key, or -1 if the key is not eight digits without a leading zero. */
  private static long userOf(byte[] key) {
    if (key == null || key.length != USER_ID_DIGITS || key[0] == '0') {
      return -1;
    }
    long user = 0;
    for (byte digit : key) {
      if (digit < '0' || digit > '9') {
        return -1;
      }
      user = user * 10 + digit - '0';
    }
    return user;
  }

  /** Returns the length of the region in bytes 2 to 7, or -1 unless it is like US-CA or GB-ENG. */
  private static int regionLength(byte[] value) {
    int length = 6;
    while (length > 0 && value[1 + length] == 0) {
      length--;
    }
    boolean wellFormed = length >= 4 && isLetter(value[2]) && isLetter(value[3]) && value[4] == '-';
    for (int i = 5; wellFormed && i < 2 + length; i++) {
      wellFormed = isLetter(value[i]) || (value[i] >= '0' && value[i] <= '9');
    }
    return wellFormed ? length : -1;
  }

  private static boolean isLetter(byte character) {
    return character >= 'A' && character <= 'Z';
  }

  /** Returns bytes 2 to 7 as a big-endian number, so that the bytes read back in order. */
  private static long regionNumber(byte[] value) {
    long number = 0;
    for (int i = 2; i < 8; i++) {
      number = number << 8 | Byte.toUnsignedLong(value[i]);
    }
    return number;
  }
}
