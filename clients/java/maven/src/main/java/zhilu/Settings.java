package zhilu;

/** Where Zhilu is and which model to ask. */
final class Settings {
    static final String URL = System.getenv().getOrDefault("ZHILU_URL", "http://127.0.0.1:8642/v1");
    static final String MODEL = System.getenv().getOrDefault("ZHILU_MODEL", "zhilu-nano");
    /** Both libraries insist on a key; Zhilu asks for one only if you set it. */
    static final String KEY = System.getenv().getOrDefault("ZHILU_API_KEY", "not-needed");

    private Settings() {}
}
