package meterbeat;

import java.util.Arrays;
import org.apache.flink.table.functions.ScalarFunction;

/**
 * Cuts a value to what a dead letter can carry, VALUE_BYTES_MAX of infra/contracts/dead_letter.py.
 *
 * <p>A small compressed batch can hold a huge message; a letter that the broker refuses would stop the job.
 */
public class Clip extends ScalarFunction {
  private static final int VALUE_BYTES_MAX = 1 << 20;

  public byte[] eval(byte[] value) {
    boolean fits = value == null || value.length <= VALUE_BYTES_MAX;
    return fits ? value : Arrays.copyOf(value, VALUE_BYTES_MAX);
  }
}
